# An ssh a host, by xargs.
case $1 in
fanout) exec xargs -a "$BENCH_ADDRESSES" -P "${BENCH_CONCURRENCY:-100}" -I '{}' ssh -F "$BENCH_SSH_CONFIG" -T '{}' "$2" ;;
*) exit 64 ;;
esac
