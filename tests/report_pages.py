"""What tests of the report share: how it is made, and how its pages are looked at."""

import small_run

EVIL = '<script>document.body.dataset.evil = "1"</script>'  # a class of this name is class 3
PICTURED = [1, 12]  # concepts with a picture
SETTINGS = ["report.examples=5", "report.thumbnail=16"]


def on(folder, *settings):
    """Return the small run, with these settings, on one rank in this process."""
    return small_run.on(folder, *SETTINGS, *settings)


def table(page):
    """Return the numbers of the concepts in the rows that are there."""
    return page.eval_on_selector_all(
        "#table tbody tr[data-concept]", "all => all.map(node => Number(node.dataset.concept))"
    )


def gallery(page):
    """Return the numbers of the concepts in the tiles that are there."""
    return page.eval_on_selector_all(
        "#gallery [data-concept]", "all => all.map(node => Number(node.dataset.concept))"
    )


def sort(page, column, times=1):
    for _ in range(times):
        page.click(f"th[data-column={column}] button")


class Watched:
    """A page, and what goes wrong in it."""

    def __init__(self, chromium, address, options):
        self.page = chromium.new_context(**options).new_page()
        self.wrong = []
        self.page.set_default_timeout(20000)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", self._requested)
        self.page.goto(address)

    def _requested(self, request):
        if not request.url.startswith(("file:", "data:", "blob:")):
            self.wrong.append(request.url)

    def _failed(self, request):
        if request.failure != "net::ERR_ABORTED":  # the page was left while it was loading
            self.wrong.append(f"{request.url}: {request.failure}")

    def _said(self, message):
        # Of a machine without a graphics card.
        driver = "GL Driver Message" in message.text
        if message.type in ("error", "warning") and not driver:
            self.wrong.append(message.text)
