-- name: assignment_number_gap
-- a rep's assignments are not numbered without gap up to the number in router's table
SELECT r.rep_id || ': ' || count(DISTINCT a.number) || ' told, ' || r.number || ' given'
FROM router.rep r LEFT JOIN log_assignment a ON a.rep_id = r.rep_id WHERE r.number > 0 GROUP BY r.rep_id, r.number
HAVING count(DISTINCT a.number) <> max(a.number) - min(a.number) + 1 OR coalesce(max(a.number), 0) < r.number

-- name: assignment_number_twice
-- a rep's number stands for two assignments
SELECT rep_id || ' number ' || number FROM log_assignment WHERE number IS NOT NULL GROUP BY rep_id, number
HAVING count(DISTINCT lead_id) > 1 OR count(DISTINCT id) FILTER (WHERE given) > 1

-- name: over_capacity
-- a rep got a lead although its load had reached the cap
SELECT DISTINCT a.rep_id || ' number ' || a.number || ': load ' || a.load || ' of ' || coalesce(b.capacity, a.capacity)
FROM log_assignment a LEFT JOIN book_capacity b USING (rules_version, rep_id)
WHERE a.given AND a.load >= coalesce(b.capacity, a.capacity)

-- name: capacity_not_of_book
-- the cap told with an assignment is not that of the rule book version which it cites
SELECT DISTINCT a.rep_id || ' number ' || a.number || ': cap ' || a.capacity || ', ' || a.rules_version || ' says '
  || coalesce(b.capacity::text, 'nothing')
FROM log_assignment a LEFT JOIN book_capacity b USING (rules_version, rep_id)
WHERE a.given AND a.capacity IS DISTINCT FROM b.capacity

-- name: load_impossible
-- the load told with an assignment cannot follow from the assignments before it
-- Assignments of a rep are in the order of their numbers, but a lead that leaves the rep is told without one. So each
-- load lies within bounds: at most one more than at the number before, at most all that came before, at least those
-- that the rep holds to this day.
WITH given AS (SELECT DISTINCT lead_id, rep_id, number, load FROM log_assignment WHERE given),
bounded AS (
  SELECT g.*, lag(g.number) OVER before AS number_before, lag(g.load) OVER before AS load_before,
    count(l.lead_id) OVER (before ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS still_held
  FROM given g LEFT JOIN router.lead l ON l.lead_id::text = g.lead_id AND l.rep_id = g.rep_id
  WINDOW before AS (PARTITION BY g.rep_id ORDER BY g.number)
)
SELECT b.rep_id || ' number ' || b.number || ': load ' || load FROM bounded b LEFT JOIN router.rep r USING (rep_id)
WHERE load > b.number - 1 OR load < still_held AND b.number <= r.number
  OR number_before = b.number - 1 AND load > load_before + 1

-- name: load_differs
-- a rep's load in router's table is not the number of leads that the rep holds
SELECT r.rep_id || ': ' || r.open_leads || ', holds ' || count(l.lead_id)
FROM router.rep r LEFT JOIN router.lead l ON l.rep_id = r.rep_id AND l.state = 'assigned'
GROUP BY r.rep_id, r.open_leads HAVING r.open_leads <> count(l.lead_id)
