# ruff: noqa: INP001 - hatchling loads this file by its path
"""
Put an SBOM into a wheel while hatchling builds it: `.dist-info/sboms/NAME.cdx.json` (PEP 770).

It is written in CycloneDX 1.7, and lists what pyproject.toml declares: each dependency with its
range of versions. A wheel contains no other package, so every one of them is external.

The same sources always give the same file: there is no time in it, and nothing of this machine.
"""

from __future__ import annotations

import json
import os
import tempfile
import uuid
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.requirements import Requirement
from packaging.specifiers import Specifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

OPERATORS: Final = {"==": "", ">=": ">=", "<=": "<=", ">": ">", "<": "<", "!=": "!="}
"""What stands in a vers: range for an operator of PEP 440."""


class SbomHook(BuildHookInterface[Any]):
    """Writes the file before the wheel is made, and removes it afterwards."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Write the SBOM into a folder of its own, and name it to hatchling."""
        if self.target_name != "wheel":
            return
        core = self.metadata.core
        document = bom(
            core.name,
            self.metadata.version,
            core.license_expression,
            core.dependencies,
            core.optional_dependencies,
        )
        self._folder = tempfile.TemporaryDirectory(prefix="sbom-")
        path = os.path.join(self._folder.name, f"{core.name}.cdx.json")
        with open(path, "w", encoding="utf-8", newline="\n") as file:
            json.dump(document, file, indent=2)
            file.write("\n")
        build_data["sbom_files"].append(path)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the folder."""
        if self.target_name == "wheel":
            self._folder.cleanup()


def bom(
    name: str,
    version: str,
    license_expression: str,
    dependencies: list[str],
    extras: dict[str, list[str]],
) -> dict[str, Any]:
    """Return the whole document."""
    purl = f"pkg:pypi/{name}@{version}"
    needed = [_component(each) for each in dependencies]
    optional = [_component(each, extra) for extra, some in extras.items() for each in some]
    seen = {each["bom-ref"] for each in needed}
    components = needed + [each for each in optional if each["bom-ref"] not in seen]
    components.sort(key=lambda each: str(each["bom-ref"]))
    refs = [each["bom-ref"] for each in components]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.7.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.7",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, purl)}",
        "version": 1,
        "metadata": {
            "lifecycles": [{"phase": "build"}],
            "component": {
                "type": "library",
                "bom-ref": purl,
                "name": name,
                "version": version,
                "licenses": [{"expression": license_expression}],
                "purl": purl,
            },
        },
        "components": components,
        "dependencies": [{"ref": purl, "dependsOn": refs}, *({"ref": ref} for ref in refs)],
    }


def _component(text: str, extra: str = "") -> dict[str, Any]:
    requirement = Requirement(text)
    name = canonicalize_name(requirement.name)
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}",
        "name": name,
        "versionRange": vers(requirement.specifier),
        "scope": "optional" if extra else "required",
        "isExternal": True,
        "purl": f"pkg:pypi/{name}",
        "properties": [{"name": "python:requirement", "value": str(requirement)}],
    }
    if extra:
        component["properties"].append({"name": "python:extra", "value": extra})
    return component


def vers(specifiers: SpecifierSet) -> str:
    """Turn `>=0.18,<0.19` into `vers:pypi/>=0.18|<0.19`; without a limit, `vers:pypi/*`."""
    parts = sorted(specifiers, key=lambda each: (Version(each.version), each.operator))
    return f"vers:pypi/{'|'.join(map(_constraint, parts)) or '*'}"


def _constraint(specifier: Specifier) -> str:
    if specifier.operator not in OPERATORS:
        raise ValueError(f"{specifier}: write this range with {', '.join(OPERATORS)} for the SBOM")
    return f"{OPERATORS[specifier.operator]}{specifier.version}"
