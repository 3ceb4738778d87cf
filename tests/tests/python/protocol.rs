//! The protocol, spoken by a program in another language.

use tests::case;

/// A client in Perl, by docs/protocol.md alone.
const CLIENT: &str = r#"
use strict; use warnings;
use Socket; use JSON::PP;

socketpair(my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
my $child = fork;
if (!$child) {
    close $ours;
    open(STDIN, '<&', $theirs) or die $!;
    exec $ENV{FAB}, '--engine' or die $!;
}
close $theirs;
$| = 1;

sub send_frame {
    my ($kind, $header, $raw) = @_;
    my $json = encode_json($header);
    my $frame = pack('NCN', 5 + length($json) + length($raw), $kind, length($json)) . $json . $raw;
    while (length $frame) {
        my $sent = syswrite($ours, $frame) or die "gone: $!";
        substr($frame, 0, $sent) = '';
    }
}

sub read_all {
    my ($count) = @_;
    my $bytes = '';
    while (length($bytes) < $count) {
        sysread($ours, $bytes, $count - length($bytes), length($bytes)) or die "gone";
    }
    return $bytes;
}

sub read_frame {
    my ($length, $kind, $head) = unpack('NCN', read_all(9));
    my $header = decode_json(read_all($head));
    return ($kind, $header, read_all($length - 5 - $head));
}

my $last = 0;
sub ask {
    my ($verb, $header, $raw, $on_data) = @_;
    my $id = ++$last;
    send_frame(1, { %$header, id => $id, verb => $verb }, $raw // '');
    while (1) {
        my ($kind, $answer, $bytes) = read_frame();
        next if $kind == 6;
        if ($kind == 4) { $on_data->($answer->{stream}, $bytes); next }
        return ($kind, $answer, $bytes);
    }
}

send_frame(0, { protocol => 1, side => 'perl', pid => $$ }, '');
my ($kind, $hello) = read_frame();
die "no hello" unless $kind == 0 && $hello->{protocol} == 1 && $hello->{side} eq 'engine';

my %there = (on => $ENV{TARGET}, env => { key_filename => [$ENV{KEY}] });
my $streamed = '';
my ($reply, $result, $output) = ask('run', { %there, command => 'echo out; echo err >&2; exit 3', stream => ['stdout'],
    hide => ['stdout', 'stderr'], quiet => JSON::PP::true }, '', sub { $streamed .= $_[1] });
die "run: $reply" unless $reply == 2 && $result->{exit} == 3;
print "streamed $streamed";
print 'stdout ', substr($output, 0, $result->{stdout});
print 'stderr ', substr($output, $result->{stdout});

($reply, $result) = ask('put', { %there, bytes => JSON::PP::true, remote => "$ENV{FAR}/file", quiet => JSON::PP::true }, "\0raw\xff");
die "put: $result->{message}" unless $reply == 2;
($reply, $result, $output) = ask('get', { %there, bytes => JSON::PP::true, remote => "$ENV{FAR}/file", quiet => JSON::PP::true });
print "the same bytes\n" if $output eq "\0raw\xff";

($reply, $result) = ask('nothing', {});
print "error: $result->{kind}\n" if $reply == 3;
($reply, $result) = ask('run', { on => '127.0.0.1:1', env => {}, command => 'true' });
print "error: $result->{kind}\n" if $reply == 3;
send_frame(7, {}, '');
waitpid($child, 0);
print "ended $?\n";
"#;

#[test]
fn a_client_in_another_language() {
    case!()
        .hosts(1)
        .file("client.pl", CLIENT)
        .env("TARGET", "{h1}")
        .env("KEY", "{key}")
        .env("FAR", "{far}")
        .within("FAB=\"$0\" exec perl client.pl")
        .stdout("streamed out\nstdout out\nstderr err\nthe same bytes\nerror: usage\nerror: connect\nended 0\n")
        .any_stderr()
        .run();
}

/// What is no frame ends the engine, and what is half of one too.
#[test]
fn an_engine_ends_at_what_is_no_frame() {
    for bytes in [
        r"\377\377\377\377\001\000\000\000\002{}",
        r"\000\000\000\007\143\000\000\000\002{}",
        r"\000\000\000\377\001\000",
        "",
    ] {
        let client = format!(
            "use Socket; socketpair(my $o, my $t, AF_UNIX, SOCK_STREAM, PF_UNSPEC); my $c = fork; if (!$c) {{ close $o; \
             open(STDIN, '<&', $t); exec $ENV{{FAB}}, '--engine' }} close $t; syswrite($o, \"{bytes}\"); shutdown($o, 1); \
             1 while sysread($o, my $b, 100); waitpid($c, 0); print \"ended $?\\n\";"
        );
        let case = case!().file("client.pl", client).within("FAB=\"$0\" exec perl client.pl");
        case.stdout("ended 0\n").any_stderr().run();
    }
}
