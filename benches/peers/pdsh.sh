# pdsh, with its ssh module.
export PDSH_SSH_ARGS="-F $BENCH_SSH_CONFIG -T %h"
case $1 in
fanout) exec pdsh -R ssh -S -f "${BENCH_CONCURRENCY:-32}" -w "^$BENCH_ADDRESSES" "$2" ;;
*) exit 64 ;;
esac
