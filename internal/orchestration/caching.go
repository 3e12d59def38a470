package orchestration

// Caches returns what events of the run add to the tenant's cache.
func (r *Run) Caches(events []Event) []Cached { return nil }

func (r *Run) caches() bool                      { return false }
func (r *Run) subtaskKey(s *SubtaskState) string { return "" }
func (r *Run) planKey(revise *Reason) string     { return "" }
func (r *Run) synthesisKey() string              { return "" }
func (r *Run) collects(s *SubtaskState) bool     { return false }
func (d *decision) take()                        {}
