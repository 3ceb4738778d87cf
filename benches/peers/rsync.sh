# rsync over ssh; the tree is new on the other side, so that everything is sent.
host=$(head -n 1 "$BENCH_ADDRESSES")
export RSYNC_RSH="ssh -F $BENCH_SSH_CONFIG -T"
case $1 in
puttree) exec rsync -r "$2/" "$host:$3/" ;;
gettree) exec rsync -r "$host:$2/" "$3/" ;;
*) exit 64 ;;
esac
