package journaltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/tutti-run/tutti/internal/orchestration"
)

// What a model knows of budgets and deliveries.
type modelOwed struct {
	spent      map[modelPeriod]float64
	owed       []*orchestration.Owed // in the order of their commits
	deliveries int                   // so far, for their ids
}

type modelPeriod struct {
	tenant string
	start  time.Time
}

type modelHold struct {
	command string
	call    int
	period  time.Time
	cost    float64
}

var (
	modelPeriods  = rapid.SampledFrom([]time.Time{november, december})
	modelCommands = rapid.SampledFrom([]string{"plan", "work/T1"})
	modelCosts    = rapid.SampledFrom([]float64{0, 0.125, 0.25, 0.5})
	modelTimes    = rapid.Map(rapid.IntRange(0, 5), func(s int) time.Time { return Epoch.Add(time.Duration(s) * time.Second) })
)

// owe draws what a commit settles and owes.
func (m *model) owe(t *rapid.T, c *orchestration.Commit) {
	for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "settlements") {
		c.Settled = append(c.Settled, orchestration.Settlement{Command: modelCommands.Draw(t, "command"), CostUSD: modelCosts.Draw(t, "spent")})
	}
	for range rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "deliveries") {
		d := delivery(*c)
		m.deliveries++
		d.ID = fmt.Sprint(m.prefix, "msg", m.deliveries)
		d.Time = modelTimes.Draw(t, "time")
		c.Deliveries = append(c.Deliveries, d)
	}
}

// owes notes what a commit has settled and owes.
func (m *model) owes(c orchestration.Commit) {
	r := m.runs[c.Row.ID]
	for _, s := range c.Settled {
		var last *modelHold
		r.holds = slices.DeleteFunc(r.holds, func(h modelHold) bool {
			if h.command == s.Command && (last == nil || h.call > last.call) {
				last = &h
			}
			return h.command == s.Command
		})
		if last != nil {
			m.spent[modelPeriod{c.Row.Tenant, last.period}] += s.CostUSD
		}
	}
	if c.Row.Status.Ended() {
		r.holds = nil
	}
	for _, d := range c.Deliveries {
		m.owed = append(m.owed, &orchestration.Owed{Delivery: d, State: orchestration.DeliveryPending, Next: d.Time})
	}
}

func (m *model) forget(run string) {
	delete(m.runs, run)
	m.owed = slices.DeleteFunc(m.owed, func(o *orchestration.Owed) bool { return o.Run == run })
}

func (m *model) held(p modelPeriod) (sum float64) {
	for _, r := range m.runs {
		for _, h := range r.holds {
			if r.row.Tenant == p.tenant && h.period.Equal(p.start) {
				sum += h.cost
			}
		}
	}
	return sum
}

func (m *model) hold(t *rapid.T) {
	r := m.known(t)
	h := orchestration.Hold{
		Tenant: m.tenant(t), Run: r.row.ID, Command: modelCommands.Draw(t, "command"),
		Call: rapid.IntRange(1, 3).Draw(t, "call"), CostUSD: modelCosts.Draw(t, "cost"),
	}
	b := orchestration.Budget{Period: modelPeriods.Draw(t, "period"), CostUSD: 1}
	p := modelPeriod{h.Tenant, b.Period}
	var want error
	switch again := slices.ContainsFunc(r.holds, func(o modelHold) bool { return o.command == h.Command && o.call == h.Call }); {
	case r.row.Tenant != h.Tenant:
		want = orchestration.ErrNotFound
	case r.row.Status.Ended():
		want = orchestration.ErrConflict
	case again:
	case m.spent[p]+m.held(p)+h.CostUSD > b.CostUSD:
		want = orchestration.ErrBudget
	default:
		r.holds = append(r.holds, modelHold{h.Command, h.Call, b.Period, h.CostUSD})
	}
	if err := m.j.Hold(context.Background(), h, b); !errors.Is(err, want) {
		t.Fatalf("hold %+v of %+v: error %v, want %v", h, b, err, want)
	}
}

// someOwed draws one of the deliveries there are.
func (m *model) someOwed(t *rapid.T) *orchestration.Owed {
	if len(m.owed) == 0 {
		t.Skip("no deliveries")
	}
	return rapid.SampledFrom(m.owed).Draw(t, "delivery")
}

func (m *model) try(t *rapid.T) {
	o := m.someOwed(t)
	try := orchestration.Try{
		Time:   modelTimes.Draw(t, "time"),
		State:  rapid.SampledFrom([]orchestration.DeliveryState{orchestration.DeliveryPending, orchestration.DeliveryDelivered, orchestration.DeliveryDead}).Draw(t, "state"),
		Next:   modelTimes.Draw(t, "next"),
		Status: rapid.SampledFrom([]int{0, 200, 503}).Draw(t, "status"),
		Error:  rapid.SampledFrom([]string{"", Text}).Draw(t, "error"),
	}
	err := m.j.Tried(context.Background(), o.ID, try)
	if o.State != orchestration.DeliveryPending {
		if !errors.Is(err, orchestration.ErrNotFound) {
			t.Fatalf("try of a delivery that is %s: error %v", o.State, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	o.State, o.Tries, o.Next, o.LastTry, o.LastStatus, o.LastError = try.State, o.Tries+1, try.Next, try.Time, try.Status, try.Error
	if o.State != orchestration.DeliveryPending {
		o.Next = time.Time{}
	}
}

func (m *model) redeliver(t *rapid.T) {
	o, now := m.someOwed(t), modelTimes.Draw(t, "now")
	if err := m.j.Redeliver(context.Background(), o.Tenant, o.ID, now); err != nil {
		t.Fatal(err)
	}
	o.State, o.Tries, o.Next = orchestration.DeliveryPending, 0, now
}

// expire removes runs by their end, those of earlier trials, too.
func (m *model) expire(t *rapid.T) {
	before := modelTimes.Draw(t, "before")
	if _, err := m.j.Expire(context.Background(), before, 0); err != nil {
		t.Fatal(err)
	}
	for id, r := range m.runs {
		if r.row.Status.Ended() && r.row.EndedAt.Before(before) {
			m.forget(id)
		}
	}
}

// checkOwed compares what the journal and the model have of budgets and of
// deliveries.
func (m *model) checkOwed(t *rapid.T) {
	ctx := context.Background()
	now := modelTimes.Draw(t, "now")
	var due []orchestration.Owed
	for _, tenant := range []string{m.prefix + "a", m.prefix + "b"} {
		for _, start := range []time.Time{november, december} {
			p := modelPeriod{tenant, start}
			spent, held, err := m.j.Spent(ctx, tenant, start)
			if spent != m.spent[p] || held != m.held(p) || err != nil {
				t.Fatalf("%+v has spent %v and holds %v, error %v; want %v and %v", p, spent, held, err, m.spent[p], m.held(p))
			}
		}
		var own []orchestration.Owed
		for _, o := range m.owed {
			if o.Tenant == tenant {
				own = append(own, *o)
			}
		}
		got, err := m.j.Deliveries(ctx, tenant, orchestration.DeliveryFilter{})
		if d := Diff(newest(own), got); d != "" || err != nil {
			t.Fatalf("deliveries of %s, error %v (-want +got):\n%s", tenant, err, d)
		}
	}
	for _, o := range m.owed {
		if o.State == orchestration.DeliveryPending && !o.Next.After(now) {
			due = append(due, *o)
		}
	}
	slices.SortStableFunc(due, func(a, b orchestration.Owed) int { return a.Next.Compare(b.Next) })
	all, err := m.j.Due(ctx, now, 0)
	all = slices.DeleteFunc(all, func(o orchestration.Owed) bool { return !strings.HasPrefix(o.ID, m.prefix) }) // of an earlier trial
	if len(due)+len(all) > 0 {
		if d := Diff(due, all); d != "" || err != nil {
			t.Fatalf("due, error %v (-want +got):\n%s", err, d)
		}
	}
}
