"""The README's table of settings, made from the settings themselves.

python -m tests.settings_table      writes it into README.md
"""

import json
from pathlib import Path

from pydantic import SecretStr

from app.settings import PREFIX, Settings

START = "<!-- settings: made by `python -m tests.settings_table`, checked by the tests -->\n"
END = "<!-- end of settings -->\n"
README = Path(__file__).parents[1] / "README.md"


def table() -> str:
    """A row for each setting: name, default, meaning."""
    rows = ["| setting | default | meaning |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = field.default
        shown = "none" if default is None else str(default)
        if isinstance(default, tuple):
            shown = json.dumps(default)
        if isinstance(default, bool):
            shown = str(default).lower()
        is_secret = field.annotation == SecretStr | None
        if is_secret and name not in ("edges_api_key", "smtp_url"):
            shown = "generated"
        rows.append(f"| `{PREFIX}{name.upper()}` | `{shown}` | {field.description} |")
    return "\n".join(rows) + "\n"


def with_table(readme: str) -> str:
    """The README with the table as it should be."""
    before, _, rest = readme.partition(START)
    _, _, after = rest.partition(END)
    return before + START + table() + END + after


if __name__ == "__main__":
    README.write_text(with_table(README.read_text("utf-8")), "utf-8")
