"""The end of the road: it stands on the whole house, and nothing imports it.

demo                the detector in a browser, one static page; for the Makefile
"""
