// The race detector allocates too.
//go:build !race

package agent

import (
	"fmt"
	"strings"
	"testing"
)

// A plan of 8 subtasks is read within so many allocations, in either form.
func TestReadPlanAllocates(t *testing.T) {
	var inJSON, inXML []string
	for i := range 8 {
		id, after := fmt.Sprint("T", i+1), `"T1"`
		if i == 0 {
			after = ""
		}
		text := "Look at the matter from side " + id + " and say what stands out there, in a few words for people who know nothing of it."
		inJSON = append(inJSON, fmt.Sprintf(`{"id":%q,"type":"analyst","description":%q,"depends_on":[%s]}`, id, text, after))
		inXML = append(inXML, fmt.Sprintf("<task><type>analyst</type><description>%s</description><id>%s</id><depends_on>%s</depends_on></task>", text, id, strings.Trim(after, `"`)))
	}
	for _, c := range []struct {
		form, text string
		most       float64
	}{
		{"JSON", `{"analysis":"Eight sides.","subtasks":[` + strings.Join(inJSON, ",") + `]}`, 280},
		{"XML", "<analysis>Eight sides.</analysis><tasks>" + strings.Join(inXML, "\n") + "</tasks>", 460},
	} {
		if plan, problems := ReadPlan(c.text, 0); len(plan.Subtasks) != 8 || len(problems) > 0 {
			t.Fatalf("%s: %d subtasks, %v", c.form, len(plan.Subtasks), problems)
		}
		allocs := testing.AllocsPerRun(100, func() { ReadPlan(c.text, 0) })
		if allocs > c.most {
			t.Errorf("%v allocations to read a plan in %s, at most %v are expected", allocs, c.form, c.most)
		}
	}
}
