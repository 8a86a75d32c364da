"""Pictures of events in a report.

pictured_report  the report with pictures of each event
event_pictures   stills of an event, and a loop with its movement magnified
steady_crops     the faces of the last seconds, of which pictures are made
"""
