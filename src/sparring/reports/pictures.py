"""Pictures that lie inside a page: PNG bytes, with what a reader is told who does not see them."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape


@dataclass(frozen=True)
class Picture:
    """A drawing with its name."""

    name: str
    """Of its file, without the ending."""
    title: str
    words: str
    """What it shows, for readers who do not see it."""
    png: bytes

    def figure(self) -> str:
        """As an element of a page."""
        image = f'<img alt="{escape(self.words)}" src="{data_url(self.png)}">'
        return f'<figure class="picture"><figcaption>{escape(self.title)}</figcaption>{image}</figure>'


def data_url(png: bytes) -> str:
    """An image that lies inside a page."""
    return f"data:image/png;base64,{b64encode(png).decode()}"


def beside(pictures: Sequence[Picture]) -> str:
    """Pictures in two columns; nothing without any."""
    body = "".join(picture.figure() for picture in pictures)
    return f'<div class="across-2">{body}</div>' if body else ""
