# bssh, a parallel SSH client in Rust.
case $1 in
version) exec bssh --version ;;
fanout)
    hosts=$(paste -sd, "$BENCH_HOSTS")
    exec bssh -H "$hosts" -l "$BENCH_USER" -i "$BENCH_KEY" --strict-host-key-checking yes \
        --parallel "${BENCH_CONCURRENCY:-10}" "$2"
    ;;
*) exit 64 ;;
esac
