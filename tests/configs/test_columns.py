"""The quick ways of reading plain files and numbers read the same as the general ones."""

from unittest.mock import patch

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stackroute.configs import ConfigError, columns
from stackroute.configs.columns import Layout, read_columns

LAYOUT = Layout({"model": None, "success": "share"}, {"cost": "money", "latency": "time"}, {})
PLAIN = ["1", "0.25", ".5", "5.", "-3", "+4", "1.234", "12.345", "1.234.567", "1e3", "1.234e5", "2E-2"]
OTHER = ["1,5", "1,234", "", " ", " 7 ", "-", "1-2", ".", "e", "$2", "x", "41%", "nan", "\u0663"]
CELLS = st.sampled_from([*PLAIN, *OTHER])


def read(header: list[str], rows: list[list[str]], delimiter: str, quote: str) -> object:
    lines = [delimiter.join(f"{quote}{cell}{quote}" for cell in row) for row in [header, *rows]]
    try:
        found = read_columns("\r\n".join(lines).encode(), "mine.csv", LAYOUT)
    except ConfigError as error:
        return str(error)
    numbers = {name: array.tobytes() for name, array in found.numbers.items()}
    return found.lines, found.written, numbers, found.units, found.too_long, found.form, found.cells


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([CELLS, st.sampled_from(PLAIN)]).flatmap(
        lambda cells: st.lists(st.lists(cells, min_size=2, max_size=5), min_size=1, max_size=4)
    ),
    st.sampled_from([";", "\t"]),
    st.sampled_from(["latency", "latency (ms)"]),
)
@example([["0", "1.234.567", "1.234"]], "\t", "latency")
def test_quick_and_general_reading_agree(cells: list[list[str]], delimiter: str, latency: str) -> None:
    header = ["model", "success", "cost", latency]
    rows = [["m", *row] for row in cells]
    quick = read(header, rows, delimiter, "")
    assert quick == read(header, rows, delimiter, '"')
    with patch.object(columns, "plain_numbers", lambda texts: None):
        assert quick == read(header, rows, delimiter, "")


def test_numbers_are_read_at_once_where_all_are_plain() -> None:
    with patch.object(columns, "read_cell", wraps=columns.read_cell) as read_one:
        found = read_columns(b"model,success\n" + b"".join(b"m,.%06d\n" % k for k in range(500)), "mine.csv", LAYOUT)
    assert read_one.call_count < 5
    np.testing.assert_allclose(found.numbers["success"], np.arange(500) / 1e6, rtol=1e-15)
