"""The book itself: what makes it a course, and knows nothing of its subject.

figure              a figure with alt text and a statement, and its parts; for plots
pictures            pictures, and boxes on pictures; for plots
graphs              graphs from left to right; for plots
sheet               paper in inches with boxes, words, arrows; for plots
pyramids            feature pyramids on a grid of levels; for 11_bifpn
architectures       a stack of cells, the whole detector; for 05_nasnet, 13_efficientdet
mechanisms          unrolled controller, MBConv; for 08_controller, 10_efficientnet
listings            the two programs of an article, as far as they run; for 24_frontiers
landscapes          contour lines with paths that go down; for 02_training
staircases          precision over recall, a mark a detection; for 16_coco_eval
costs               layers under a roof, scores over times; for 22_export
plots               the house's figures, from plain arrays; for every chapter
pages               sources, verdicts and questions as text and HTML; for notebook
widgets             sliders, each with a static twin; for every chapter
environment         what this machine offers the course; for 00_start_here
publish             measured headers, badges, the first cell for Colab; for course
records             what a learner has done in this kernel; for answers
handin              one small file a chapter, written and read back; for answers
answers             check, build, yours, restore, hint, solution, submit; for notebook
guesses             a number guessed first, then measured; for notebook
milestones          a machine runs, and on whose functions; for notebook
notebook            setup, show and quiz, and all that cells call; for every chapter
copies              a learner's copies, and what new chapters take over; for course
progress            how far a learner is, with a drawing; for course
course              headless runs, the command line; for the Makefile
"""
