"""Notifies connections of changes that backends make to their sessions."""

from __future__ import annotations

from holdfast.gateway.conversation.news import News
from holdfast.gateway.conversation.output import Attachment
from holdfast.sessions.consumer import guarded
from holdfast.sessions.manager import SessionManager
from holdfast.sessions.session import Session


class ConnectionNotifier:
    """The `ClientNotifier` of every session port: it tells the connections of the sessions."""

    def __init__(self, manager: SessionManager) -> None:
        self._manager = manager

    def policy_known(self) -> None:
        """Sessions that waited to hear whether to log in go on."""
        for session in list(self._manager.sessions.values()):
            _tell_connection(session, News.POLICY_KNOWN)

    def user_changed(self, session: Session) -> None:
        _tell_connection(session, News.USER_CHANGED)

    def deselected(self, session: Session) -> None:
        _tell_connection(session, News.PROFILE_NEEDED)


def _tell_connection(session: Session, news: News) -> None:
    consumer = session.consumer
    if isinstance(consumer, Attachment):
        guarded(consumer, consumer.driver.hear, news)
