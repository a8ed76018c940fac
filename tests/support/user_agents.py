"""What real browsers call themselves, and what that tells: device, browser and system; None is unknown."""

from __future__ import annotations

from typing import Final

Told = tuple[str | None, str | None, str | None]

_APPLE: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
_CHROMIUM: Final = "AppleWebKit/537.36 (KHTML, like Gecko)"
_IPHONE: Final = f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {_APPLE}"
_IPAD: Final = f"Mozilla/5.0 (iPad; CPU OS 17_7 like Mac OS X) {_APPLE}"
_PHONE: Final = f"Mozilla/5.0 (Linux; Android 10; K) {_CHROMIUM}"
_TABLET: Final = f"Mozilla/5.0 (Linux; Android 14; SM-X710) {_CHROMIUM}"
_WINDOWS: Final = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_CHROMIUM}"
_MAC: Final = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"

MAC_SAFARI: Final = f"{_MAC} {_APPLE} Version/18.5 Safari/605.1.15"
WINDOWS_CHROME: Final = f"{_WINDOWS} Chrome/137.0.0.0 Safari/537.36"

USER_AGENTS: Final[dict[str, Told]] = {
    f"{_IPHONE} Version/18.5 Mobile/15E148 Safari/604.1": ("mobile", "Safari", "iOS"),
    f"{_IPHONE} CriOS/137.0.7151.79 Mobile/15E148 Safari/604.1": ("mobile", "Chrome", "iOS"),
    f"{_IPHONE} FxiOS/139.1 Mobile/15E148 Safari/605.1.15": ("mobile", "Firefox", "iOS"),
    f"{_IPHONE} Version/18.0 EdgiOS/137.0.3296.65 Mobile/15E148 Safari/605.1.15": ("mobile", "Edge", "iOS"),
    f"{_IPHONE} Version/18.5 Mobile/15E148 Safari/604.1 OPT/5.5.0": ("mobile", "Opera", "iOS"),
    f"{_IPHONE} Version/18.5 Mobile/15E148 Safari/604.1 OPX/3.3.0": ("mobile", "Opera", "iOS"),
    f"{_IPHONE} Mobile/15E148 [FBAN/FBIOS;FBAV/500.0.0.47.97;FBDV/iPhone16,1;FBMD/iPhone]": ("mobile", None, "iOS"),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)": ("mobile", None, "iOS"),  # an app that says no more
    f"{_IPAD} Version/17.7 Mobile/15E148 Safari/604.1": ("tablet", "Safari", "iOS"),
    f"{_IPAD} CriOS/137.0.7151.79 Mobile/15E148 Safari/604.1": ("tablet", "Chrome", "iOS"),
    f"{_PHONE} Chrome/137.0.0.0 Mobile Safari/537.36": ("mobile", "Chrome", "Android"),
    f"{_PHONE} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36": ("mobile", "Samsung Internet", "Android"),
    f"{_PHONE} Chrome/137.0.0.0 Mobile Safari/537.36 EdgA/137.0.0.0": ("mobile", "Edge", "Android"),
    f"{_PHONE} Chrome/135.0.0.0 Mobile Safari/537.36 OPR/89.0.0.0": ("mobile", "Opera", "Android"),
    f"{_PHONE} Chrome/115.0.5790.168 Mobile Safari/537.36 OPX/2": ("mobile", "Opera", "Android"),
    "Mozilla/5.0 (Android 15; Mobile; rv:139.0) Gecko/139.0 Firefox/139.0": ("mobile", "Firefox", "Android"),
    "Mozilla/5.0 (Android 14; Tablet; rv:139.0) Gecko/139.0 Firefox/139.0": ("tablet", "Firefox", "Android"),
    f"{_TABLET} Chrome/137.0.0.0 Safari/537.36": ("tablet", "Chrome", "Android"),
    f"{_TABLET} SamsungBrowser/28.0 Chrome/130.0.0.0 Safari/537.36": ("tablet", "Samsung Internet", "Android"),
    "Mozilla/5.0 (Mobile; Nokia_8110_4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5": ("mobile", "Firefox", None),
    WINDOWS_CHROME: ("desktop", "Chrome", "Windows"),
    f"{WINDOWS_CHROME} Edg/137.0.0.0": ("desktop", "Edge", "Windows"),
    f"{WINDOWS_CHROME} OPR/120.0.0.0": ("desktop", "Opera", "Windows"),
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:139.0) Gecko/20100101 Firefox/139.0": (
        "desktop",
        "Firefox",
        "Windows",
    ),
    MAC_SAFARI: ("desktop", "Safari", "macOS"),
    f"{_MAC} {_CHROMIUM} Chrome/137.0.0.0 Safari/537.36": ("desktop", "Chrome", "macOS"),
    f"{_MAC} {_CHROMIUM} Chrome/137.0.0.0 Safari/537.36 Edg/137.0.0.0": ("desktop", "Edge", "macOS"),
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:139.0) Gecko/20100101 Firefox/139.0": (
        "desktop",
        "Firefox",
        "macOS",
    ),
    f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {_CHROMIUM} Chrome/137.0.0.0 Safari/537.36": (
        "desktop",
        "Chrome",
        "Chrome OS",
    ),
    f"Mozilla/5.0 (X11; Linux x86_64) {_CHROMIUM} Chrome/137.0.0.0 Safari/537.36": ("desktop", "Chrome", "Linux"),
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:139.0) Gecko/20100101 Firefox/139.0": ("desktop", "Firefox", "Linux"),
    "Mozilla/5.0 (X11; FreeBSD amd64; rv:139.0) Gecko/20100101 Firefox/139.0": ("desktop", "Firefox", None),
}
