"""The HTTP surface of the dashboard: its pages and what they ask for; and static files, for both servers.

app.py      create_app: blueprints, errors, who may see them
pages.py    / /questions
numbers.py  /api/stats /api/events /api/event /api/rejected
questions.py  /api/questions
service.py  /health /static
board.py    what the views work with
asking.py   questions under way, on threads of their own
relay.py    answers that wait for the API
answers.py  how every view answers
static_answer.py  a static file as an answer
"""
