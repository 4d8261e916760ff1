"""Tests of Loomark; the folders mirror the packages."""
