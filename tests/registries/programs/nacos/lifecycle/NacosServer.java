package lifecycle;

import com.alibaba.nacos.core.code.ControllerMethodsCache;
import com.alibaba.nacos.sys.filter.NacosTypeExcludeFilter;
import javax.annotation.PostConstruct;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.AutoConfigurationExcludeFilter;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.autoconfigure.ldap.LdapAutoConfiguration;
import org.springframework.boot.context.TypeExcludeFilter;
import org.springframework.boot.web.servlet.ServletComponentScan;
import org.springframework.context.annotation.ComponentScan;
import org.springframework.context.annotation.ComponentScan.Filter;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.FilterType;
import org.springframework.scheduling.annotation.EnableScheduling;

/** What the console of Nacos does to start its server, without the console. */
@Configuration
@EnableAutoConfiguration(exclude = LdapAutoConfiguration.class)
@ComponentScan(
    basePackages = {"com.alibaba.nacos", "lifecycle"},
    excludeFilters = {
      @Filter(type = FilterType.CUSTOM, classes = NacosTypeExcludeFilter.class),
      @Filter(type = FilterType.CUSTOM, classes = TypeExcludeFilter.class),
      @Filter(type = FilterType.CUSTOM, classes = AutoConfigurationExcludeFilter.class)
    })
@ServletComponentScan("com.alibaba.nacos")
@EnableScheduling
public class NacosServer {
  @Autowired private ControllerMethodsCache methods;

  @PostConstruct
  void learnTheControllers() {
    methods.initClassMethod("com.alibaba.nacos.core.controller");
    methods.initClassMethod("com.alibaba.nacos.naming.controllers");
    methods.initClassMethod("com.alibaba.nacos.config.server.controller");
    methods.initClassMethod("com.alibaba.nacos.plugin.auth.impl.controller");
  }

  public static void main(String[] args) {
    SpringApplication.run(NacosServer.class, args);
  }
}
