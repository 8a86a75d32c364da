"""Motion fields of real expressions, as the meshes of train persons' footage show them.

measuring   fields between two moments of footage
library     files of such fields; one comes with the package (NOTICE.md)
"""
