# pssh, which Debian calls parallel-ssh.
case $1 in
fanout) exec parallel-ssh -h "$BENCH_ADDRESSES" -p "${BENCH_CONCURRENCY:-32}" -x "-F $BENCH_SSH_CONFIG -T" -t 0 -i "$2" ;;
*) exit 64 ;;
esac
