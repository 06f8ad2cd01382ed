"""docs/recipes.md is in sync with the configs and the facts."""

import pathlib

from tests.configs import recipes_page


def test_the_page_is_what_the_command_writes():
    page = pathlib.Path(__file__).parents[2] / "docs" / "recipes.md"
    assert page.read_text() == recipes_page.page(), "python -m tests.configs.recipes_page > docs/recipes.md"
