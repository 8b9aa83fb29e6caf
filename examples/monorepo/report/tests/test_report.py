import pathlib
import sys
import tempfile
import unittest
from decimal import Decimal

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import report


class Report(unittest.TestCase):
    def test_a_folder_gives_its_quotes_in_order(self):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in [("b", "3 pieces: 59.97 EUR\n"), ("a", "1 pieces: 19.99 USD\n")]:
                (pathlib.Path(folder) / f"{name}.txt").write_text(text)
            self.assertEqual(list(report.rows(folder)), [("a", Decimal("19.99")), ("b", Decimal("59.97"))])

    def test_a_title_is_text_and_never_markup(self):
        self.assertIn("<h1>&lt;b&gt;</h1>", report.page("<b>", "1", []))


if __name__ == "__main__":
    unittest.main()
