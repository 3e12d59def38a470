package orchestration

// Owes returns the webhook deliveries that events of the run owe.
func (r *Run) Owes([]Event) []Delivery { return nil }
