# OpenSSH's sftp, in batch mode, with its defaults.
host=$(head -n 1 "$BENCH_ADDRESSES")
case $1 in
put) echo "put $2 $3" ;;
get) echo "get $2 $3" ;;
# The directory is made at first by hand: sftp 9.2 puts a tree into one that is there.
puttree) echo "mkdir $3"; echo "put -r $2/. $3" ;;
gettree) mkdir "$3"; echo "get -r $2/. $3" ;;
*) exit 64 ;;
esac >batch
exec sftp -q -F "$BENCH_SSH_CONFIG" -b batch "$host"
