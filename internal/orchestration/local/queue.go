package local

import "slices"

// A queue holds the runs that were accepted and have not begun: round the
// tenants, and each tenant's in the order of their coming. It knows their ids
// alone; what they are lies in the journal.
type queue struct {
	tenants []tenant // in the order of their turns
	size    int
}

type tenant struct {
	name string
	runs []string
}

// join puts a run at the end of its tenant's line.
func (q *queue) join(name, run string) {
	q.size++
	for i := range q.tenants {
		if q.tenants[i].name == name {
			q.tenants[i].runs = append(q.tenants[i].runs, run)
			return
		}
	}
	q.tenants = append(q.tenants, tenant{name, []string{run}})
}

// next takes the run whose turn it is.
func (q *queue) next() (name, run string, ok bool) {
	if len(q.tenants) == 0 {
		return "", "", false
	}
	t := q.tenants[0]
	q.tenants = q.tenants[1:]
	run, t.runs = t.runs[0], t.runs[1:]
	if len(t.runs) > 0 {
		q.tenants = append(q.tenants, t)
	}
	q.size--
	return t.name, run, true
}

// holds reports whether a run is in the queue.
func (q *queue) holds(run string) bool {
	return slices.ContainsFunc(q.tenants, func(t tenant) bool { return slices.Contains(t.runs, run) })
}

// leave takes a run out of its turn, and reports whether it was in the queue.
func (q *queue) leave(run string) (name string, ok bool) {
	for i, t := range q.tenants {
		at := slices.Index(t.runs, run)
		if at < 0 {
			continue
		}
		if q.tenants[i].runs = slices.Delete(t.runs, at, at+1); len(t.runs) == 1 {
			q.tenants = slices.Delete(q.tenants, i, i+1)
		}
		q.size--
		return t.name, true
	}
	return "", false
}
