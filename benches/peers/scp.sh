# OpenSSH's scp, with its defaults (since 9.0 it speaks SFTP).
host=$(head -n 1 "$BENCH_ADDRESSES")
case $1 in
put) exec scp -q -F "$BENCH_SSH_CONFIG" "$2" "$host:$3" ;;
get) exec scp -q -F "$BENCH_SSH_CONFIG" "$host:$2" "$3" ;;
puttree) exec scp -q -r -F "$BENCH_SSH_CONFIG" "$2" "$host:$3" ;;
gettree) exec scp -q -r -F "$BENCH_SSH_CONFIG" "$host:$2" "$3" ;;
*) exit 64 ;;
esac
