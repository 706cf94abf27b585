"""Tests of the faces of other products, as their clients meet them."""
