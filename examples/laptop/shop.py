"""The shop: says which version it is, and whether it is ready."""
import hashlib
import http.server
import sys

VERSION = "1"


class Shop(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        digest = "sha256:" + hashlib.sha256(open(__file__, "rb").read()).hexdigest()
        answers = {
            "/": (200, f"shop {VERSION}\n"),
            "/ready": (200, f"ready {digest}\n"),
            "/digest": (200, f"{digest}\n"),
        }
        status, text = answers.get(self.path, (404, "there is no such page\n"))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
