"""`python -m lib` prints the contents of the house: its wings, then each one's page.

The pages are read, not imported: this takes no torch.
"""

import ast
import re
from pathlib import Path

import lib

if __name__ == "__main__":
    print(lib.__doc__)
    for wing in re.findall(r"^lib\.(\w+)", lib.__doc__, re.MULTILINE):
        page = Path(lib.__file__).with_name(wing) / "__init__.py"
        print(f"\nlib.{wing}")
        print(ast.get_docstring(ast.parse(page.read_text(encoding="utf-8"))))
