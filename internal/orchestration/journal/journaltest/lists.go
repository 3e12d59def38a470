package journaltest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tutti-run/tutti/internal/orchestration"
	"github.com/tutti-run/tutti/internal/orchestration/journal"
)

// single returns the one commit of a run that stands in lists as row says.
func single(row orchestration.Row) orchestration.Commit {
	s := &story{row: row}
	s.row.Seq = 0
	s.event("", &orchestration.RunStarted{})
	s.commit()
	return s.commits[0]
}

// testPaging walks through runs of which several were created at the same time.
func testPaging(t *testing.T, j journal.Journal) {
	const runs = 30
	var newest []string
	var commits []orchestration.Commit
	for i := range runs {
		id := fmt.Sprintf("run_%02d", i)
		newest = append([]string{id}, newest...)
		status := orchestration.StatusSucceeded
		if i%2 == 0 {
			status = orchestration.StatusFailed
		}
		commits = append(commits, single(orchestration.Row{
			ID: id, Tenant: "acme", Status: status, CreatedAt: Epoch.Add(time.Duration(i / 7)),
			Labels: map[string]string{"all": "yes"}, Workflow: "report",
		}))
	}
	rand.Shuffle(runs, func(i, k int) { commits[i], commits[k] = commits[k], commits[i] })
	appendAll(t, j, commits...)
	for name, f := range map[string]orchestration.Filter{
		"all":      {},
		"workflow": {Workflow: "report"},
		"label":    {Labels: map[string]string{"all": "yes"}},
		"statuses": {Status: []orchestration.Status{orchestration.StatusSucceeded, orchestration.StatusFailed, orchestration.StatusFailed}},
	} {
		for _, f.Limit = range []int{1, 4, 7, runs, 2 * runs, 0} {
			var got []string
			for f.Before = ""; ; f.Before = got[len(got)-1] {
				page := must(j.Rows(t.Context(), "acme", f))(t)
				if len(page) == 0 {
					break
				}
				if f.Limit > 0 && len(page) > f.Limit {
					t.Fatalf("%s: a page of %d, limit %d", name, len(page), f.Limit)
				}
				for _, r := range page {
					got = append(got, r.ID)
				}
			}
			want(t, fmt.Sprintf("%s, pages of %d", name, f.Limit), got, newest)
		}
	}
	_, err := j.Rows(t.Context(), "acme", orchestration.Filter{Before: "run_none"})
	wantErr(t, "rows before no run", err, orchestration.ErrNotFound)
}

func testFilter(t *testing.T, j journal.Journal) {
	at := func(minutes int) time.Time { return Epoch.Add(time.Duration(minutes) * time.Minute) }
	row := func(minutes int, status orchestration.Status, labels ...string) {
		r := orchestration.Row{ID: fmt.Sprint("run_", minutes), Tenant: "acme", Status: status, CreatedAt: at(minutes)}
		if minutes%2 == 0 {
			r.Workflow = "report"
		}
		for i := 0; i < len(labels); i += 2 {
			if r.Labels == nil {
				r.Labels = make(map[string]string)
			}
			r.Labels[labels[i]] = labels[i+1]
		}
		appendAll(t, j, single(r))
	}
	row(1, orchestration.StatusQueued, "team", "growth", "env", "prod")
	row(2, orchestration.StatusRunning, "team", "growth", "env", "test")
	row(3, orchestration.StatusFailed, "team", "sales", "env", "prod")
	row(4, orchestration.StatusFailed, "env", "prod", "team", "growth", "x", "")
	row(5, orchestration.StatusSucceeded)
	type labels = map[string]string
	type statuses = []orchestration.Status
	for _, c := range []struct {
		f    orchestration.Filter
		want []int
	}{
		{orchestration.Filter{}, []int{5, 4, 3, 2, 1}},
		{orchestration.Filter{Limit: 2}, []int{5, 4}},
		{orchestration.Filter{Status: statuses{orchestration.StatusFailed}}, []int{4, 3}},
		{orchestration.Filter{Status: statuses{orchestration.StatusQueued, orchestration.StatusFailed}, Limit: 2}, []int{4, 3}},
		{orchestration.Filter{Status: statuses{orchestration.StatusCanceled}}, nil},
		{orchestration.Filter{Labels: labels{"team": "growth"}}, []int{4, 2, 1}},
		{orchestration.Filter{Labels: labels{"team": "growth", "env": "prod"}}, []int{4, 1}},
		{orchestration.Filter{Labels: labels{"x": ""}}, []int{4}},
		{orchestration.Filter{Labels: labels{"y": ""}}, nil},
		{orchestration.Filter{Labels: labels{"env": "growth"}}, nil},
		{orchestration.Filter{Labels: labels{"env": "prod"}, Status: statuses{orchestration.StatusFailed, orchestration.StatusRunning}}, []int{4, 3}},
		{orchestration.Filter{Workflow: "report"}, []int{4, 2}},
		{orchestration.Filter{Workflow: "other"}, nil},
		{orchestration.Filter{Workflow: "report", Status: statuses{orchestration.StatusFailed, orchestration.StatusQueued}}, []int{4}},
		{orchestration.Filter{Workflow: "report", Labels: labels{"env": "prod"}}, []int{4}},
		{orchestration.Filter{Workflow: "report", Labels: labels{"team": "growth"}, Status: statuses{orchestration.StatusRunning}}, []int{2}},
		{orchestration.Filter{Workflow: "report", Before: "run_4", CreatedAfter: at(1), Limit: 1}, []int{2}},
		{orchestration.Filter{CreatedAfter: at(2)}, []int{5, 4, 3}},
		{orchestration.Filter{CreatedBefore: at(2)}, []int{1}},
		{orchestration.Filter{CreatedAfter: at(1), CreatedBefore: at(4), Status: statuses{orchestration.StatusRunning, orchestration.StatusFailed}}, []int{3, 2}},
		{orchestration.Filter{CreatedAfter: at(1), CreatedBefore: at(5), Labels: labels{"team": "growth"}}, []int{4, 2}},
		{orchestration.Filter{Before: "run_4", Labels: labels{"team": "growth"}, Limit: 1}, []int{2}},
		{orchestration.Filter{Before: "run_4", CreatedAfter: at(1)}, []int{3, 2}},
	} {
		var ids []string
		for _, minutes := range c.want {
			ids = append(ids, fmt.Sprint("run_", minutes))
		}
		var got []string
		for _, r := range must(j.Rows(t.Context(), "acme", c.f))(t) {
			got = append(got, r.ID)
		}
		want(t, fmt.Sprintf("rows of %+v", c.f), got, ids)
	}
}

func testUnfinished(t *testing.T, j journal.Journal) {
	a, b, c := Story("acme", "run_a"), Story("acme", "run_b"), Story("other", "run_c")
	for i := range a {
		a[i].Row.CreatedAt = Epoch.Add(time.Hour)
	}
	steps := []struct {
		commit orchestration.Commit
		want   []string
	}{
		{a[0], []string{"run_a"}},
		{c[0], []string{"run_c", "run_a"}},
		{b[0], []string{"run_b", "run_c", "run_a"}},
	}
	for i := 1; i < len(b)-1; i++ {
		steps = append(steps, steps[2])
		steps[len(steps)-1].commit = b[i]
	}
	steps = append(steps, steps[1])
	steps[len(steps)-1].commit = b[len(b)-1]
	want(t, "unfinished", must(j.Unfinished(t.Context()))(t), nil)
	for _, s := range steps {
		appendAll(t, j, s.commit)
		var got []string
		for _, r := range must(j.Unfinished(t.Context()))(t) {
			got = append(got, r.ID)
		}
		want(t, fmt.Sprintf("unfinished after commit %d of %s", s.commit.After, s.commit.Row.ID), got, s.want)
	}
}

// testRow appends with rows that say otherwise what is written once, with the run.
func testRow(t *testing.T, j journal.Journal) {
	commits := Story("acme", "run_1")
	for i := range commits[1:] {
		r := &commits[i+1].Row
		r.Task, r.Labels, r.Simulated, r.CreatedAt = "another", map[string]string{"team": "sales"}, true, Epoch.Add(1)
		r.Workflow = "another"
	}
	wanted := commits[0].Row
	for _, c := range commits {
		appendAll(t, j, c)
		wanted.Status, wanted.Seq, wanted.Progress = c.Row.Status, c.Row.Seq, c.Row.Progress
		wanted.StartedAt, wanted.EndedAt = c.Row.StartedAt, c.Row.EndedAt
		want(t, "row", must(j.Row(t.Context(), "acme", "run_1"))(t), wanted)
		want(t, "rows", must(j.Rows(t.Context(), "acme", orchestration.Filter{}))(t), []orchestration.Row{wanted})
	}
}
