"""Events of `microspot analyze` checked by people: `microspot review DIR`.

results     what `analyze` wrote: the videos and their events
decisions   what a coder decides of an event, and the event as it then is
store       decisions on the disk: nothing is overwritten, every change is one more row
frames      frames of a recording by their index, exactly
added       events that the spotter missed, and which of two coders' are the same
faces       where the face of an event is
replay      the event with its movement magnified
agreement   how far two coders agree
merge       two coders' decisions brought together by a third
export      the events that a coder accepted, as files of every kind
learned     what a coder decided, for later runs and for training
session     one coder's review, as the page asks for it
server      the page's requests, on this machine alone
page        the page itself, one document that needs nothing else
"""
