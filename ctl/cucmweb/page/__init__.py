"""Serves the page below /ui/, for people with a browser.

HTML is rendered here with Jinja2. Everything works with links and forms alone; with JavaScript,
htmx replaces the parts that change. The page uses the same methods of the daemon as the paths for
programs do.

    pages.py         finds the function for a path; errors as pages
    visit.py         one request: its caller, its form, and how a view is shown
    job_pages.py     the list of jobs, a job, and what it has collected
    find_page.py     searches the files of a job
    changes.py       asks before a job is changed, and changes it
    handover_page.py  hands a job over, and shows how far that is
    start_page.py    the form that starts a job
    cluster_page.py  the clusters, and one with its figures over time
    login_page.py    signs people in and out
    forms.py         PURE  a form -> a request to the daemon, or the field that is wrong
    views.py         PURE  jobs and nodes as the templates show them
    pictures.py      PURE  the timeline and the coverage of a job, as bars and as tables
    figures.py       PURE  what health checks have found on a cluster, as curves
    live.py          streams of the parts that change, rendered once for all readers alike
    sessions.py      who has signed in with a token
    render.py        Jinja2: templates, times in the zone of the viewer

The folder `templates` has a template for each view. The folder `static` has the style sheet and the
scripts; htmx is there exactly as it was published, with its licence.
"""
