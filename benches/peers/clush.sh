# ClusterShell.
case $1 in
fanout) exec clush --hostfile "$BENCH_ADDRESSES" -f "${BENCH_CONCURRENCY:-64}" -S -o "-F $BENCH_SSH_CONFIG -T" "$2" ;;
*) exit 64 ;;
esac
