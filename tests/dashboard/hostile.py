"""What somebody outside may write wherever pages show it, and how it must not show."""

from playwright.sync_api import Page

HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)>\'"'


def check_harmless(page: Page) -> None:
    """Fails if `HOSTILE` became more than text. Dialogs and script errors fail by themselves."""
    made = page.locator("img, svg[onload], main script, [onerror]")
    assert made.count() == 0, made.first.evaluate("element => element.outerHTML")
    assert "<img src=x onerror=alert(1)>" in page.locator("main").inner_text()
