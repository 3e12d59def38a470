package metrics

import (
	"time"

	"github.com/tutti-run/tutti/internal/llm"
	"github.com/tutti-run/tutti/internal/orchestration"
)

// Resumed counts runs that an earlier process began and this one goes on with.
func (m *Metrics) Resumed(runs int) { m.inFlight.Add(float64(runs)) }

// Deleted counts a run no more that was deleted before it ended.
func (m *Metrics) Deleted() { m.inFlight.Dec() }

// Appended counts events of one run that have become durable, with the run as
// it is after them. The events of a run are told in order, those of different
// runs from any number of goroutines.
func (m *Metrics) Appended(run *orchestration.Run, events []orchestration.Event) {
	for i := range events {
		e := &events[i]
		if _, ok := e.Fact.(*orchestration.RunCreated); ok {
			m.created(run)
		}
		m.paid(run, e.Calls())
		switch {
		case e.Terminal():
			m.ended(run)
		case e.Subtask != "":
			m.subtask(run, e)
		default:
			m.planOrSynthesis(e)
		}
	}
}

func (m *Metrics) created(run *orchestration.Run) {
	m.inFlight.Inc()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.busy[run.ID] = new(spans)
}

// paid counts what calls cost, and remembers when they were in flight.
func (m *Metrics) paid(run *orchestration.Run, calls []orchestration.Call) {
	if len(calls) == 0 {
		return
	}
	m.mu.Lock()
	busy := m.busy[run.ID]
	m.mu.Unlock()
	for _, c := range calls {
		if c.CostUSD > 0 {
			m.cost.WithLabelValues(c.Role, m.models.of(c.Model)).Add(c.CostUSD)
		}
		if busy != nil { // only this run's loop touches it
			busy.add(c.Started, c.Ended)
		}
	}
}

func (m *Metrics) ended(run *orchestration.Run) {
	status := string(run.Status)
	m.inFlight.Dec()
	m.runs.WithLabelValues(status).Inc()
	m.duration.WithLabelValues(status).Observe(run.EndedAt.Sub(run.CreatedAt).Seconds())
	m.perRun.Observe(float64(run.Totals.LLMCalls))

	m.mu.Lock()
	busy := m.busy[run.ID]
	delete(m.busy, run.ID)
	m.mu.Unlock()
	if busy != nil {
		explained := busy.within(run.CreatedAt, run.EndedAt)
		m.overhead.Observe((run.EndedAt.Sub(run.CreatedAt) - explained).Seconds())
	}
}

func (m *Metrics) subtask(run *orchestration.Run, e *orchestration.Event) {
	var status orchestration.Status
	switch f := e.Fact.(type) {
	case *orchestration.SubtaskRetrying:
		m.retries.WithLabelValues(string(f.Failure.Code)).Inc()
		return
	case *orchestration.SubtaskCompensated:
		if f.Failure != nil && f.RetryAt == nil {
			m.failed(llm.Worker, *f.Failure)
		}
		return
	case *orchestration.SubtaskFailed:
		m.subtaskFailed(run.Subtask(e.Subtask), f.Failure)
		status = orchestration.StatusFailed
	case *orchestration.SubtaskSucceeded:
		status = orchestration.StatusSucceeded
	case *orchestration.SubtaskSkipped:
		status = orchestration.StatusSkipped
	case *orchestration.SubtaskCanceled:
		status = orchestration.StatusCanceled
	default:
		return
	}
	s := run.Subtask(e.Subtask)
	if s == nil {
		return
	}
	worker := m.workerOf(run.Spec, s)
	m.subtasks.WithLabelValues(worker, string(status)).Inc()
	if !s.StartedAt.IsZero() {
		m.subtaskDuration.WithLabelValues(worker).Observe(e.Time.Sub(s.StartedAt).Seconds())
	}
}

// subtaskFailed counts a failure of the role that performed the subtask. That of
// what expands is its parts' failure, which counts already.
func (m *Metrics) subtaskFailed(s *orchestration.SubtaskState, f orchestration.Failure) {
	switch {
	case s == nil:
	case s.Kind == orchestration.KindDecide:
		m.failed(llm.Evaluator, f)
	case s.Kind == orchestration.KindPlan && f.Code == orchestration.CodePlanInvalid:
		m.failed(llm.Planner, f)
	case !s.Kind.Composite():
		m.failed(llm.Worker, f)
	}
}

// workerOf returns the label of the worker that performs a subtask, or would
// have: the kind's name where none does. The free words of its type are no label.
func (m *Metrics) workerOf(spec *orchestration.Spec, s *orchestration.SubtaskState) string {
	if s.Kind != "" && s.Kind != orchestration.KindWorker {
		return string(s.Kind)
	}
	name := s.Worker
	if name == "" {
		name = s.Type
	}
	if _, ok := spec.WorkerNamed(name); !ok {
		return defaultWorker
	}
	return m.workers.of(name)
}

func (m *Metrics) planOrSynthesis(e *orchestration.Event) {
	switch f := e.Fact.(type) {
	case *orchestration.PlanInvalid:
		if len(f.Problems) > 0 { // the planner is told, and asked anew: that is no retry
			m.failed(llm.Planner, f.Failure)
			return
		}
		m.failedOrRetried(llm.Planner, f.Failure, f.RetryAt)
	case *orchestration.SynthesisFailed:
		m.failedOrRetried(llm.Synthesizer, f.Failure, f.RetryAt)
	}
}

func (m *Metrics) failedOrRetried(role llm.Role, f orchestration.Failure, retryAt *time.Time) {
	if retryAt != nil {
		m.retries.WithLabelValues(string(f.Code)).Inc()
		return
	}
	m.failed(role, f)
}

// failed counts a failure that stands. What was given up with its run is none.
func (m *Metrics) failed(role llm.Role, f orchestration.Failure) {
	if f.Code != orchestration.CodeCanceled {
		m.failures.WithLabelValues(string(role), string(f.Code)).Inc()
	}
}
