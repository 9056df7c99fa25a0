"""The end of the road: it stands on the whole house, and nothing imports it.

demo                the detector in a browser, one static page; for the Makefile
stages              stages that write files, gone on with after a kill; for capstone
judging             files side by side: AP, milliseconds, kilobytes; for capstone
parts               whose functions the road runs on; for 23_capstone
task                scenes from another day, and four budgets; for 23_capstone
challenge           entries verified on fresh seeds, a board; for 23_capstone
capstone        23  search, derive, scale, detect, prune, quantize, ONNX
claims              published numbers beside computed ones; for the Makefile
symbols             symbols of the numbered equations; for the Makefile
"""
