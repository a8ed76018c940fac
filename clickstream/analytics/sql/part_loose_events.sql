-- Events of the shared sessions: of this part, and of earlier ones where no part has told them so yet.
SELECT e.*
FROM events AS e
SEMI JOIN shared AS s ON s.session_key = e.session_key
UNION ALL
SELECT e.*
FROM earlier_events AS e
SEMI JOIN (
  SELECT s.session_key FROM shared AS s ANTI JOIN earlier_shared AS told ON told.session_key = s.session_key
) AS newly ON newly.session_key = e.session_key
