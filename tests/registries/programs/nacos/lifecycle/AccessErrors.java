package lifecycle;

import com.alibaba.nacos.plugin.auth.exception.AccessException;
import org.springframework.core.Ordered;
import org.springframework.core.annotation.Order;
import org.springframework.http.HttpStatus;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.ControllerAdvice;
import org.springframework.web.bind.annotation.ExceptionHandler;

/** The console's answer to a wrong password. Without it, the status of the response is 0. */
@ControllerAdvice
@Order(Ordered.HIGHEST_PRECEDENCE)
public class AccessErrors {
  @ExceptionHandler(AccessException.class)
  ResponseEntity<String> refused(AccessException error) {
    return ResponseEntity.status(HttpStatus.FORBIDDEN).body(error.getErrMsg());
  }
}
