"""Words in XML, which does not hold every character."""

from __future__ import annotations

import re
from xml.sax.saxutils import escape, quoteattr

_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(words: str) -> str:
    """Words between tags; characters that XML does not know are left out."""
    return escape(_FORBIDDEN.sub("", words))


def xml_attribute(words: str) -> str:
    """Words as an attribute, in quotes; characters that XML does not know are left out."""
    return quoteattr(_FORBIDDEN.sub("", words))
