package api

import (
	"bytes"
	"net/http"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	jsonv1 "github.com/go-json-experiment/json/v1"
)

// A reply is an answer of JSON. It serves every operation.
type reply struct {
	status int
	header http.Header // more of them; may be nil
	body   any         // nil: none
}

func ok(body any) reply { return reply{status: http.StatusOK, body: body} }

func (a reply) write(w http.ResponseWriter) error {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return nil
	}
	return writeJSON(w, a.status, typeJSON, a.body)
}

func takeBuffer() *bytes.Buffer {
	buf, _ := buffers.Get().(*bytes.Buffer)
	return buf
}

func giveBuffer(buf *bytes.Buffer) {
	if buf.Cap() <= maxPooled {
		buf.Reset()
		buffers.Put(buf)
	}
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// maxPooled is the most bytes of a buffer that is kept for the next answer: enough
// for that of a run of fifty subtasks. Encoding takes up to twice what it writes.
const maxPooled = 256 << 10

// writeJSON writes a whole answer. Nothing is written when v has no JSON.
func writeJSON(w http.ResponseWriter, status int, mediaType string, v any) error {
	buf := takeBuffer()
	defer giveBuffer(buf)
	if err := encode(buf, v); err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(buf.Len()))
	w.WriteHeader(status)
	_, err := w.Write(buf.Bytes())
	return err
}

// asStandard is the JSON of encoding/json, but for <, > and &, which stay as they are.
var asStandard = json.JoinOptions(jsonv1.DefaultOptionsV1(), jsontext.EscapeForHTML(false))

// encode writes v as one line of JSON, which takes encoding/json twice as long.
func encode(buf *bytes.Buffer, v any) error {
	if err := json.MarshalWrite(buf, v, asStandard); err != nil {
		return err
	}
	return buf.WriteByte('\n')
}

// The operations that a reply answers.

// VisitCreateRunResponse writes the reply.
func (a reply) VisitCreateRunResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitListRunsResponse writes the reply.
func (a reply) VisitListRunsResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitGetRunResponse writes the reply.
func (a reply) VisitGetRunResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitDeleteRunResponse writes the reply.
func (a reply) VisitDeleteRunResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitCancelRunResponse writes the reply.
func (a reply) VisitCancelRunResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitListEventsResponse writes the reply.
func (a reply) VisitListEventsResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitGetGraphResponse writes the reply.
func (a reply) VisitGetGraphResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitValidatePlanResponse writes the reply.
func (a reply) VisitValidatePlanResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitListWorkersResponse writes the reply.
func (a reply) VisitListWorkersResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitListModelsResponse writes the reply.
func (a reply) VisitListModelsResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitListDeliveriesResponse writes the reply.
func (a reply) VisitListDeliveriesResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitRedeliverResponse writes the reply.
func (a reply) VisitRedeliverResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitGetLivenessResponse writes the reply.
func (a reply) VisitGetLivenessResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitGetReadinessResponse writes the reply.
func (a reply) VisitGetReadinessResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitDecideSubtaskResponse writes the reply.
func (a reply) VisitDecideSubtaskResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitDecidePlanResponse writes the reply.
func (a reply) VisitDecidePlanResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitForkRunResponse writes the reply.
func (a reply) VisitForkRunResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitListWorkflowsResponse writes the reply.
func (a reply) VisitListWorkflowsResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitGetWorkflowResponse writes the reply.
func (a reply) VisitGetWorkflowResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitValidateWorkflowResponse writes the reply.
func (a reply) VisitValidateWorkflowResponse(w http.ResponseWriter) error { return a.write(w) }
