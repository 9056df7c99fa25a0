"""The book itself: what makes it a course, and knows nothing of its subject.

figure              a figure with alt text and a statement, and its parts; for plots
pictures            pictures, boxes on pictures, graphs; for plots
plots               the house's figures, from plain arrays; for every chapter
widgets             sliders, each with a static twin; for every chapter
environment         what this machine offers the course; for 00_start_here
notebook            setup, show, check, hint, solution, quiz; for every chapter
publish             measured headers, badges, the first cell for Colab; for course
copies              a learner's copies, and what new chapters take over; for course
course              headless runs, the command line; for the Makefile
"""
