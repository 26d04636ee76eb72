from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.tools.names import offered_name


@given(st.text(max_size=100), st.sets(st.text(max_size=64)), st.text(max_size=100))
def test_a_name_is_new_and_one_that_vendors_take(name: str, taken: set[str], prefix: str) -> None:
    chosen = offered_name(name, taken, prefix)
    assert chosen not in taken
    assert re.fullmatch("[A-Za-z0-9_-]{1,64}", chosen)


def test_a_taken_name_says_where_it_comes_from() -> None:
    assert offered_name("search", set(), "Crm") == "search"
    assert offered_name("search", {"search"}, "My CRM") == "My_CRM_search"
    assert offered_name("search", {"search", "My_CRM_search"}, "My CRM") == "My_CRM_search_2"
    assert offered_name("search", {"search"}) == "search_2"
