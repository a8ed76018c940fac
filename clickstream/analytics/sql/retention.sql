-- Per day of first appearance: how many of those people came back N days later, for N up to 30.
WITH active AS (
  SELECT DISTINCT person, CAST(local_time(seen_at) AS DATE) AS day FROM session_times
), first_days AS (
  SELECT person, min(day) AS cohort FROM active GROUP BY person
), sizes AS (
  SELECT cohort, count(*) AS cohort_people FROM first_days GROUP BY cohort
)
SELECT
  f.cohort,
  s.cohort_people,
  date_diff('day', f.cohort, a.day) AS day_number,
  count(*) AS people,
  count(*) * 1.0 / s.cohort_people AS retained
FROM active AS a
JOIN first_days AS f ON f.person = a.person
JOIN sizes AS s ON s.cohort = f.cohort
WHERE date_diff('day', f.cohort, a.day) <= 30
GROUP BY f.cohort, s.cohort_people, date_diff('day', f.cohort, a.day)
ORDER BY f.cohort, day_number
