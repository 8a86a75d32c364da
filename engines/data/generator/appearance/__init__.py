"""How a face and its picture look in one clip, beside what the portrait shows.

look     drawn once per clip from the recipe's shares
skin     darker skin, stubble and beards, lines that darken where skin is pressed
glasses  drawn frames with highlights that do not go along with the skin
"""
