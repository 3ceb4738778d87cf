# tar through a pipe of ssh.
host=$(head -n 1 "$BENCH_ADDRESSES")
ssh="ssh -F $BENCH_SSH_CONFIG -T $host"
case $1 in
puttree) tar -C "$2" -cf - . | $ssh "mkdir -p '$3' && tar -C '$3' -xf -" ;;
gettree) mkdir -p "$3" && $ssh "tar -C '$2' -cf - ." | tar -C "$3" -xf - ;;
*) exit 64 ;;
esac
