"""Options of curl and wget with a value, in the next word or the rest of the same word."""

from __future__ import annotations

from typing import Final

CURL_TAKES: Final = frozenset("AbcCdDeEFHhKmoPQrtTuUwxXyYz")
"""Options of curl with one letter and one dash."""
WGET_TAKES: Final = frozenset("aABDeiIloOPQRtTUwXY")
CURL_TAKES_LONG: Final = frozenset((
    "abstract-unix-socket", "alt-svc", "aws-sigv4", "cacert", "capath", "cert", "cert-type",
    "ciphers", "config", "connect-timeout", "connect-to", "continue-at", "cookie", "cookie-jar",
    "create-file-mode", "crlfile", "curves", "data", "data-ascii", "data-binary", "data-raw",
    "data-urlencode", "delegation", "dns-interface", "dns-ipv4-addr", "dns-ipv6-addr",
    "dns-servers", "doh-url", "dump-header", "egd-file", "engine", "etag-compare", "etag-save",
    "expect100-timeout", "form", "form-string", "ftp-account", "ftp-alternative-to-user",
    "ftp-method", "ftp-port", "ftp-ssl-ccc-mode", "happy-eyeballs-timeout-ms", "header",
    "hostpubmd5", "hostpubsha256", "hsts", "interface", "json", "keepalive-time", "key",
    "key-type", "krb", "libcurl", "limit-rate", "local-port", "login-options", "mail-auth",
    "mail-from", "mail-rcpt", "max-filesize", "max-redirs", "max-time", "netrc-file", "noproxy",
    "oauth2-bearer", "output", "output-dir", "parallel-max", "pass", "pinnedpubkey", "preproxy",
    "proto", "proto-default", "proto-redir", "proxy", "proxy-cacert", "proxy-capath",
    "proxy-cert", "proxy-cert-type", "proxy-ciphers", "proxy-crlfile", "proxy-header",
    "proxy-key", "proxy-key-type", "proxy-pass", "proxy-pinnedpubkey", "proxy-service-name",
    "proxy-tls13-ciphers", "proxy-tlsauthtype", "proxy-tlspassword", "proxy-tlsuser",
    "proxy-user", "proxy1.0", "pubkey", "quote", "random-file", "range", "rate", "referer",
    "request", "request-target", "resolve", "retry", "retry-delay", "retry-max-time",
    "sasl-authzid", "service-name", "socks4", "socks4a", "socks5", "socks5-gssapi-service",
    "socks5-hostname", "speed-limit", "speed-time", "stderr", "telnet-option", "tftp-blksize",
    "time-cond", "tls-max", "tls13-ciphers", "tlsauthtype", "tlspassword", "tlsuser", "trace",
    "trace-ascii", "unix-socket", "upload-file", "url", "url-query", "user", "user-agent",
    "write-out",
))  # fmt: skip
"""Long options from `curl --help all`, without the dashes."""
WGET_TAKES_LONG: Final = frozenset((
    "accept", "accept-regex", "append-output", "backups", "base", "bind-address", "body-data",
    "body-file", "ca-certificate", "ca-directory", "certificate", "certificate-type", "ciphers",
    "compression", "config", "connect-timeout", "crl-file", "cut-dirs", "default-page",
    "directory-prefix", "dns-timeout", "domains", "exclude-directories", "exclude-domains",
    "execute", "follow-tags", "ftp-password", "ftp-user", "header", "http-password", "http-user",
    "ignore-tags", "include-directories", "input-file", "level", "limit-rate", "load-cookies",
    "local-encoding", "method", "output-document", "output-file", "password", "pinnedpubkey",
    "post-data", "post-file", "prefer-family", "private-key", "private-key-type", "progress",
    "proxy-password", "proxy-user", "quota", "read-timeout", "referer", "regex-type", "reject",
    "reject-regex", "rejected-log", "remote-encoding", "report-speed", "restrict-file-names",
    "retry-on-http-error", "save-cookies", "secure-protocol", "start-pos", "timeout", "tries",
    "use-askpass", "user", "user-agent", "wait", "waitretry", "warc-dedup", "warc-file",
    "warc-header", "warc-max-size", "warc-tempdir",
))  # fmt: skip
