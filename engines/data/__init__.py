"""Data: annotations, footage, faces; the generator of synthetic clips is a room of its own.

annotations/  the table format of true and spotted intervals; the tables of data sets
layouts       where the recordings of each data set lie
three_classes emotions of data sets as negative, positive, surprise
unit_cells    action units in a cell of a table
tables        tables as spreadsheets write and read them
decoding      how video is opened and decoded, with the whitelists of what may be opened
sei_messages  H.264 and HEVC packets without messages that strict decoders refuse
footage       real video with every frame aligned
faces         portraits with landmarks, split into train, validation and test
generator/    clips of moved faces with truth
"""
