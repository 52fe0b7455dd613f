"""Kubernetes' own schemas of its objects, strict: a field that they do not have is a problem.

They come with the package kubernetes-validate; its own function would read all of them anew for
each object.
"""

from __future__ import annotations

import importlib.resources
import json
from functools import cache
from typing import Any

import jsonschema
import referencing
import referencing.jsonschema

from helm.chart import Object


class Schemas:
    def __init__(self, kubernetes: str) -> None:
        package = importlib.resources.files("kubernetes_validate")
        self._folder = package / "kubernetes-json-schema" / f"v{kubernetes}.0-local-strict"
        definitions = referencing.Resource.from_contents(
            self._read("_definitions.json"),
            default_specification=referencing.jsonschema.DRAFT7,
        )
        self._registry = referencing.Registry().with_resource("_definitions.json", definitions)
        self._validator = cache(self._new_validator)

    def problems(self, one: Object) -> list[str]:
        """What is wrong with an object, with its place."""
        name = f"{one['kind']} {one['metadata']['name']}"
        validator = self._validator(one["apiVersion"], one["kind"])
        return [
            f"{name}: {'/'.join(str(step) for step in error.absolute_path)}: {error.message}"
            for error in validator.iter_errors(one)
        ]

    def _new_validator(self, api_version: str, kind: str) -> jsonschema.Draft7Validator:
        # apps/v1 StatefulSet: statefulset-apps-v1.json; networking.k8s.io/v1: networking-v1.
        group, _, version = api_version.rpartition("/")
        parts = [kind.lower(), *([group.split(".")[0]] if group else []), version]
        return jsonschema.Draft7Validator(
            self._read("-".join(parts) + ".json"), registry=self._registry
        )

    def _read(self, name: str) -> Any:
        return json.loads((self._folder / name).read_text())
