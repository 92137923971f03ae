"""A TLS server on loopback for the tests of `fathom data fetch`: tls_server.py FOLDER CERTIFICATE KEY

Prints its port and serves FOLDER/<file> as /<behaviour>/<file> until it is killed. Behaviours: good, nolength,
redirect, http_redirect, loop, wrong (one byte differs), truncated, stalled (half the body, then silence), mute (no
answer), endless. Anything else is 404.
"""

import http.server
import pathlib
import ssl
import sys
import time

FOLDER = pathlib.Path(sys.argv[1])


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def head(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()

    def do_GET(self):
        _, behaviour, *rest = self.path.split("/")
        name = "/".join(rest)
        path = FOLDER / name
        act = getattr(self, "do_" + behaviour, None)
        if act is None or not path.is_file():
            return self.head(404, Content_Length=0)
        self.close_connection = True
        act(name, path.read_bytes())

    def do_good(self, name, body):
        self.head(200, Content_Length=len(body))
        self.wfile.write(body)

    def do_nolength(self, name, body):
        self.head(200)
        self.wfile.write(body)

    def do_redirect(self, name, body):
        self.head(302, Location="/good/" + name, Content_Length=0)

    def do_http_redirect(self, name, body):
        self.head(302, Location=f"http://localhost:{self.server.server_port}/good/{name}", Content_Length=0)

    def do_loop(self, name, body):
        self.head(302, Location="/loop/" + name, Content_Length=0)

    def do_wrong(self, name, body):
        self.do_good(name, bytes([body[0] ^ 1]) + body[1:])

    def do_truncated(self, name, body):
        self.head(200, Content_Length=len(body))
        self.wfile.write(body[: len(body) // 2])

    def do_stalled(self, name, body):
        self.do_truncated(name, body)
        self.wfile.flush()
        time.sleep(600)

    def do_mute(self, name, body):
        time.sleep(600)

    def do_endless(self, name, body):
        self.head(200)
        while True:
            self.wfile.write(b"x" * 65536)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that hangs up is what several tests are about


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2], sys.argv[3])
    server = Server(("127.0.0.1", 0), Handler)
    # The handshake belongs to the handler's thread: a client that refuses the certificate must not stop others.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    print(server.server_port, flush=True)
    server.serve_forever()


main()
